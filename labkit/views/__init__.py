"""Pictures and text of a flow: they need no browser, no cluster and no notebook."""
