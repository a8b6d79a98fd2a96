"""From a change to the wire: wait until changes pause (`debounce`), then give each client its turn (`queue`, `pusher`)."""
