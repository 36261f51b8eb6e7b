"""``python -m neuroana`` is the command line."""

from neuroana.cli.app import main


if __name__ == "__main__":
    main()
