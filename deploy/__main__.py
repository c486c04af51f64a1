"""`python -m deploy` is `onetrip`."""

from deploy.command import main

if __name__ == "__main__":
    main()
