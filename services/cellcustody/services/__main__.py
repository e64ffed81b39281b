"""`python -m cellcustody.services serve --config FILE`, without the clients' command line."""

from cellcustody.services.commands import run

if __name__ == "__main__":
    run()
