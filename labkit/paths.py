"""Where labkit keeps things: a cache that outlives labs, and a state folder that is gone after `down`."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Return the folder for what can be fetched or built again; `LABKIT_CACHE` moves it."""
    return Path(os.environ.get("LABKIT_CACHE") or platformdirs.user_cache_path("labkit")).absolute()


def state_dir() -> Path:
    """Return the folder for labs that exist; `LABKIT_STATE` moves it."""
    return Path(os.environ.get("LABKIT_STATE") or platformdirs.user_state_path("labkit")).absolute()


def config_dir() -> Path:
    """Return the folder for the user's own settings (an image catalogue); `LABKIT_CONFIG` moves it."""
    return Path(os.environ.get("LABKIT_CONFIG") or platformdirs.user_config_path("labkit")).absolute()
