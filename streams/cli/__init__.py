"""The command `sidecart`: one file a subcommand, each a `click` command named `command`."""
