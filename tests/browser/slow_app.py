"""The app with a method marked as slow, as none of today's is: ``python -m tests.browser.slow_app``."""

from dataclasses import replace

from denoiser.denoisers.registry import create_denoiser

if __name__ == "__main__":
    method = create_denoiser("wavelet")
    # Filters are frozen, and shared by all who ask for them.
    object.__setattr__(method, "info", replace(method.info, slow=True))

    from app import demo, faces
    from denoiser.ui.page import launch

    launch(demo, faces)
