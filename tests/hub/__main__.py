"""``python -m tests.hub [PORT]``: the loopback Hub by hand, until Ctrl-C."""

import sys
import time

from .server import LoopbackHub


def main() -> None:
    """Serve, print the environment to use, and then every request."""
    with LoopbackHub(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as hub:
        print(f"export HF_ENDPOINT={hub.endpoint} HF_TOKEN={hub.token} HF_HUB_DISABLE_XET=1", flush=True)
        print(
            f"# HF_HOME=$(mktemp -d) keeps it out of your cache; the namespace is {hub.user}", flush=True
        )
        shown = 0
        try:
            while True:
                for request in hub.requests[shown:]:
                    print(request.method, request.path, f"{request.size} bytes", flush=True)
                    shown += 1
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
