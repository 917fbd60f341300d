"""IPython and Jupyter only: magics, display."""
