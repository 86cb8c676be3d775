"""How the page looks: Gradio's base theme in slate and indigo, with the system's own fonts."""

import gradio as gr

from denoiser.ui.common.html import read_asset

_STYLES = (
    "common/page.css",
    "common/stage.css",
    "experiment/faces.css",
    "experiment/face_form.css",
    "experiment/more_noises.css",
    "experiment/own_model.css",
    "compare/compare.css",
    "photo/photo.css",
    "benchmark/benchmark.css",
    "blind/blind.css",
    "sweep/sweep.css",
    "lessons/lessons.css",
    "emotion/emotion.css",
    "inside/inside.css",
    "experiment/embedding.css",
)

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Consolas", "monospace"]


def create_theme() -> gr.themes.Base:
    """Return the theme. Its fonts are installed ones: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        # The theme's own gray is too light on white to be read (WCAG AA).
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        block_border_width="0px",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_label_background_fill="transparent",
        block_padding="0px",
        block_shadow="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_800",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_600",
        input_border_width="1px",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_600",
        # White on the hue's own 500 has a contrast of 4.46, and 4.5 is asked.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_border_width="1px",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )


def read_css() -> str:
    """Return the style sheet: what all tabs share, then each tab's own."""
    return "\n".join(map(read_asset, _STYLES))
