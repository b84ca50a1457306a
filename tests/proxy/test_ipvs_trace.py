"""A packet's way told by ipvsadm's counters and by conntrack, from outputs as a kernel with ip_vs printed them."""

from __future__ import annotations
