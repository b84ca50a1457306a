"""A session: all that a lab answered while a notebook ran, kept in a file, and given again where no cluster runs."""
