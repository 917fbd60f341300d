import pytest

from sdp_kernel import settings
from sdp_kernel.errors import SettingsError


@pytest.fixture
def load(tmp_path):
    def write(text):
        (tmp_path / "sdp.toml").write_text(text, encoding="utf-8")
        return settings.load(tmp_path)

    return write


FULL = """
[profiles.staging]
gateway = "https://gateway.example:8083/"
jobmanager = "http://jobmanager.example:8081/"
read_only = true

[profiles.staging.kafka.main]
"bootstrap.servers" = "a:9092,b:9092"
sasl.mechanism = "PLAIN"
"sasl.password" = "env:KAFKA_PASSWORD"
"enable.ssl.certificate.verification" = true

[profiles.staging.session]
"table.exec.state.ttl" = "1 d"

[profiles.staging.parameters]
symbol = "ACME"

[promote]
repository = "../jobs"
branch = "flink/{job}"

[local]
task_slots = 2
"""


def test_a_full_file_is_read(load, tmp_path):
    loaded = load(FULL)
    profile = loaded.profile("staging")
    assert profile.gateway == "https://gateway.example:8083"
    assert profile.jobmanager == "http://jobmanager.example:8081"
    assert profile.read_only
    assert not profile.embedded
    assert profile.session == {"table.exec.state.ttl": "1 d"}
    assert profile.parameters == {"symbol": "ACME"}
    assert profile.kafka["main"].properties == {
        "bootstrap.servers": "a:9092,b:9092",
        "sasl.mechanism": "PLAIN",
        "sasl.password": "env:KAFKA_PASSWORD",
        "enable.ssl.certificate.verification": "true",
    }
    assert loaded.promote.repository == tmp_path / "../jobs"
    assert loaded.promote.branch == "flink/{job}"
    assert loaded.local.task_slots == 2
    assert loaded.root == tmp_path


def test_without_a_file_there_is_the_embedded_profile_local(tmp_path):
    loaded = settings.load(tmp_path)
    assert loaded.file is None
    assert loaded.root == tmp_path
    assert loaded.profile("local").embedded


def test_the_file_is_found_upward(load, tmp_path):
    load("[local]\ntask_slots = 3\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert settings.load(below).root == tmp_path
    assert settings.load(below).local.task_slots == 3


def test_the_nearest_file_governs(load, tmp_path):
    load("[local]\ntask_slots = 3\n")
    below = tmp_path / "a"
    below.mkdir()
    (below / "sdp.toml").write_text("", encoding="utf-8")
    assert settings.load(below).root == below
    assert settings.load(below).local.task_slots == 32


def test_the_profile_local_needs_no_gateway_and_may_have_one(load):
    assert load("[profiles.local.parameters]\na = 1\n").profile("local").embedded
    assert not load('[profiles.local]\ngateway = "http://x:1"\n').profile("local").embedded


def test_a_profile_may_name_a_session_cluster_on_kubernetes(load, tmp_path):
    profile = load(
        "[profiles.dev.kubernetes]\ncontext = 'c/d'\nnamespace = 'flink'\ndeployment = 'session'\nkubeconfig = 'kube'\n"
    ).profile("dev")
    assert profile.kubernetes == settings.KubernetesSettings("flink", "c/d", "session", tmp_path / "kube")
    assert not profile.embedded
    assert profile.gateway is None


def test_an_unknown_profile_is_refused_with_the_known_ones(load):
    with pytest.raises(SettingsError, match="no profile 'prod'") as caught:
        load(FULL).profile("prod")
    assert "local, staging" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[profile.x]\n", "profile is not a setting"),
        ('[profiles.x]\ngatway = "http://x"\n', "profiles.x.gatway is not a setting"),
        ("[promote]\nrepo = 'x'\n", "promote.repo is not a setting"),
        ("[local]\nslots = 1\n", "local.slots is not a setting"),
        ('[profiles.x]\ngateway = "localhost:8083"\n', "profiles.x.gateway is not an http"),
        ('[profiles.x]\ngateway = "http://"\n', "profiles.x.gateway is not an http"),
        (
            '[profiles.x]\ngateway = "http://x"\njobmanager = "ftp://x"\n',
            "profiles.x.jobmanager is not an http",
        ),
        ("[profiles.x]\n", "profiles.x has neither gateway nor kubernetes"),
        ("[profiles.x.kubernetes]\n", "profiles.x.kubernetes has no namespace"),
        ("[profiles.x.kubernetes]\nnamespace = 'Flink'\n", "x.kubernetes.namespace is not a name"),
        ("[profiles.x.kubernetes]\nnamespace = 'f'\ndeployment = 'a.b'\n", "x.kubernetes.deployment is not"),
        ("[profiles.x.kubernetes]\nnamespace = 'f'\ncontext = ''\n", "x.kubernetes.context is empty"),
        ("[profiles.x.kubernetes]\nnamespace = 'f'\nname = 'a'\n", "x.kubernetes.name is not a setting"),
        ("[profiles.x]\nkubernetes = 'dev'\n", "profiles.x.kubernetes must be a table"),
        (
            "[profiles.x]\ngateway = 'http://x'\n[profiles.x.kubernetes]\nnamespace = 'f'\n",
            "profiles.x has both gateway and kubernetes",
        ),
        (
            "[profiles.x]\njobmanager = 'http://x'\n[profiles.x.kubernetes]\nnamespace = 'f'\n",
            "profiles.x has both jobmanager and kubernetes",
        ),
        ("[profiles.x]\ngateway = 8083\n", "profiles.x.gateway must be a str"),
        ('[profiles.x]\ngateway = "http://x"\nread_only = "no"\n', "profiles.x.read_only must be a bool"),
        ("profiles = 1\n", "profiles must be a table"),
        ("[profiles]\nx = 1\n", "profiles.x must be a table"),
        ("[local]\ntask_slots = true\n", "local.task_slots must be a int"),
        ('[profiles.local.kafka.main]\n"client.id" = "x"\n', "kafka.main has no bootstrap.servers"),
        ('[profiles.local.kafka."a-b"]\n"bootstrap.servers" = "x:1"\n', "kafka.a-b is not a usable alias"),
        ("[profiles.local.session]\na = [1]\n", "session.a must be text"),
        ("[local\n", "is not valid TOML"),
        ('[promote]\nbranch = "sdp/{name}"\n', "promote.branch"),
        ('[promote]\nbranch = "sdp/{job"\n', "promote.branch"),
        ('[promote]\nkafka_cluster = "Events"\n', "promote.kafka_cluster is 'Events'"),
        ('[promote]\nkafka_cluster = "a/b/c"\n', "promote.kafka_cluster is 'a/b/c'"),
        ("[promote]\nkafka_cluster = 3\n", "promote.kafka_cluster must be a table"),
    ],
)
def test_a_mistake_is_refused_with_the_file_and_the_key(load, tmp_path, text, named):
    with pytest.raises(SettingsError, match=named) as caught:
        load(text)
    assert str(tmp_path / "sdp.toml") in str(caught.value)
    assert caught.value.hint


SECRETS = [
    "sasl.password",
    "ssl.key.password",
    "sasl.jaas.config",
    "sasl.oauthbearer.client.secret",
    "schema.api.key",
]


@pytest.mark.parametrize("key", SECRETS)
def test_a_literal_secret_is_refused_and_not_repeated(load, key):
    with pytest.raises(SettingsError, match="literal secret") as caught:
        load(f'[profiles.local.kafka.main]\n"bootstrap.servers" = "x:1"\n"{key}" = "hunter2"\n')
    assert key in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sasl.oauthbearer.token.endpoint.url", "https://login.example/token"),
        ("basic.auth.credentials.source", "USER_INFO"),
    ],
)
def test_where_a_secret_comes_from_is_not_a_secret(load, key, value):
    loaded = load(f'[profiles.local.kafka.main]\n"bootstrap.servers" = "x:1"\n"{key}" = "{value}"\n')
    assert loaded.profile("local").kafka["main"].properties[key] == value


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "user").write_text("alice\n", encoding="utf-8")
    return settings.KafkaCluster(
        "main",
        {
            "bootstrap.servers": "a:9092",
            "sasl.mechanism": "PLAIN",
            "sasl.username": f"file:{tmp_path}/user",
            "sasl.password": "env:SDP_TEST_PASSWORD",
            "client.id": "it's me",
        },
    )


def test_references_are_resolved_in_the_client_configuration_only(cluster, monkeypatch):
    monkeypatch.setenv("SDP_TEST_PASSWORD", "hunter2")
    assert cluster.client_config() == {
        "bootstrap.servers": "a:9092",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "sasl.password": "hunter2",
        "client.id": "it's me",
    }
    assert cluster.properties["sasl.password"] == "env:SDP_TEST_PASSWORD"
    assert "hunter2" not in repr(cluster)
    assert "alice" not in repr(cluster)


def test_a_reference_to_nothing_is_refused_by_its_name(cluster, tmp_path, monkeypatch):
    monkeypatch.delenv("SDP_TEST_PASSWORD", raising=False)
    with pytest.raises(SettingsError, match="SDP_TEST_PASSWORD, which is not set"):
        cluster.client_config()
    (tmp_path / "user").unlink()
    with pytest.raises(SettingsError, match="user, which cannot be read"):
        cluster.client_config()


def test_the_sql_fragment_holds_config_providers_and_no_secret(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SDP_TEST_PASSWORD", "hunter2")
    fragment = cluster.sql_fragment()
    assert "hunter2" not in fragment
    assert "alice" not in fragment
    assert "'properties.bootstrap.servers' = 'a:9092'" in fragment
    line = f'username="${{dir:{tmp_path}:user}}" password="${{env:SDP_TEST_PASSWORD}}";'
    assert line in fragment
    assert ".plain.PlainLoginModule required" in fragment
    assert "'properties.config.providers' = 'dir,env'" in fragment
    assert "'properties.config.providers.env.class' = 'org.apache.flink.kafka.shaded." in fragment
    assert "'properties.client.id' = 'it''s me'" in fragment


def test_a_fragment_without_secrets_has_no_config_providers():
    cluster = settings.KafkaCluster("main", {"bootstrap.servers": "a:9092"})
    assert cluster.sql_fragment() == "'properties.bootstrap.servers' = 'a:9092'"


def test_the_state_directory_keeps_itself_out_of_git(tmp_path):
    state = settings.load(tmp_path).make_state_dir()
    assert state == tmp_path / ".sdp"
    assert (state / ".gitignore").read_text(encoding="utf-8") == "*\n"
    (state / ".gitignore").write_text("kept\n", encoding="utf-8")
    settings.load(tmp_path).make_state_dir()
    assert (state / ".gitignore").read_text(encoding="utf-8") == "kept\n"


def test_flinks_configuration_of_the_embedded_stack_is_text(load):
    loaded = load('[local.flink]\n"metrics.reporter.prom.port" = 9249\nweb.submit.enable = false\n')
    assert loaded.local.flink == {"metrics.reporter.prom.port": "9249", "web.submit.enable": "false"}


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("", {}),
        ('kafka_cluster = "events"', {"main": "events"}),
        (
            'kafka_cluster = { main = "events", logs = "other/logs.v2" }',
            {"main": "events", "logs": "other/logs.v2"},
        ),
    ],
)
def test_the_kafkas_of_kubernetes_are_named_by_alias(load, text, clusters):
    assert dict(load(f"[promote]\n{text}\n").promote.kafka_cluster) == clusters


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("", "./modules/kafka-topic"),
        ('module_source = "git::https://g.example/m.git//flink/sql-job?ref=v1"',
         "git::https://g.example/m.git//kafka-topic?ref=v1"),
        ('module_source = "./m/flink/sql-job"\ntopic_module_source = "./topics"', "./topics"),
    ],
)  # fmt: skip
def test_the_topic_module_is_beside_the_job_s(load, text, source):
    assert load(f"[promote]\n{text}\n").promote.topic_module_source == source
