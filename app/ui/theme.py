"""How gradio's own parts look: system fonts, quiet greys, one accent. The rest is assets/css/lab.css."""

import gradio as gr
from gradio.themes.utils import colors, sizes

FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Helvetica", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """The lab's theme. Fonts are plain names: nothing is fetched from anywhere."""
    made = gr.themes.Base(
        primary_hue=colors.teal,
        secondary_hue=colors.teal,
        neutral_hue=colors.zinc,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=FONT,
        font_mono=MONO,
    )
    return made.set(
        body_background_fill="#f6f6f4",
        body_background_fill_dark="#111214",
        body_text_color="#1d2025",
        body_text_color_dark="#e9e9e6",
        body_text_color_subdued="#63666d",
        body_text_color_subdued_dark="#9b9ea6",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#191b1e",
        background_fill_secondary="#fafaf8",
        background_fill_secondary_dark="#1f2125",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_label_text_weight="600",
        block_title_text_weight="600",
        block_title_text_size="*text_sm",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_info_text_size="*text_xs",
        block_info_text_color="*body_text_color_subdued",
        block_padding="0px",
        border_color_primary="#deded9",
        border_color_primary_dark="#303339",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1f2125",
        input_border_color="#d3d3cd",
        input_border_color_dark="#383b42",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        button_primary_background_fill="#0c746b",
        button_primary_background_fill_hover="#095f58",
        button_primary_background_fill_dark="#119184",
        button_primary_background_fill_hover_dark="#14a596",
        button_primary_text_color="#ffffff",
        layout_gap="14px",
        form_gap_width="0px",
    )
