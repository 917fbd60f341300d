from pyflink.table.udf import AggregateFunction, udaf


class WeightedPrice(AggregateFunction):
    """Cents for each unit, over all orders."""

    def create_accumulator(self):
        return [0, 0]

    def accumulate(self, accumulator, cents, units):
        accumulator[0] += cents
        accumulator[1] += units

    def retract(self, accumulator, cents, units):
        accumulator[0] -= cents
        accumulator[1] -= units

    def get_value(self, accumulator):
        return accumulator[0] // accumulator[1] if accumulator[1] else None


weighted_price = udaf(WeightedPrice(), result_type="BIGINT", accumulator_type="ARRAY<BIGINT>")
