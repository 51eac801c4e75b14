"""`python -m fastntk`: the command line, for where the script `fastntk` is not on the path."""

from .cli import main

if __name__ == "__main__":
    main()
