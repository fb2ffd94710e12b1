"""``python -m reasoning_kit`` is the command line, too."""

from reasoning_kit.cli import main

if __name__ == "__main__":
    main()
