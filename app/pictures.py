"""Pictures as they are stored: encoded once by whoever recorded them, then served as they are. No torch here."""

import io
import json
import math
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

CELL = 128
SHEET_COLUMNS = 16
METADATA_KEY = "noise-search-lab"


def sheet_grid(count: int) -> tuple[int, int]:
    """Columns and rows of a sheet of `count` pictures: one row up to 16 pictures, then rows of 16."""
    columns = max(1, min(count, SHEET_COLUMNS))
    return columns, max(1, math.ceil(count / columns))


def encode_lossy(image: np.ndarray) -> bytes:
    """A webp of one (H, W, 3) uint8 picture at full size."""
    out = io.BytesIO()
    Image.fromarray(_pixels(image)).save(out, "WEBP", quality=90, method=2)
    return out.getvalue()


def encode_sheet(images: np.ndarray) -> bytes:
    """A webp with (K, H, W, 3) uint8 pictures as cells, none wider or higher than 128 pixels; see `sheet_grid`."""
    cells = [Image.fromarray(_pixels(image)) for image in images]
    for cell in cells:
        cell.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    width, height = cells[0].size
    columns, rows = sheet_grid(len(cells))
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for index, cell in enumerate(cells):
        sheet.paste(cell, (index % columns * width, index // columns * height))
    out = io.BytesIO()
    sheet.save(out, "WEBP", quality=85, method=2)
    return out.getvalue()


def encode_final(image: np.ndarray, metadata: dict[str, Any]) -> bytes:
    """A lossless PNG of one (H, W, 3) uint8 picture that carries what it was made from as JSON in its text."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(METADATA_KEY, json.dumps(metadata, sort_keys=True, ensure_ascii=False))
    out = io.BytesIO()
    Image.fromarray(_pixels(image)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    """A stored picture's (H, W, 3) uint8 pixels."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def _pixels(image: np.ndarray) -> np.ndarray:
    pixels = np.ascontiguousarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"expected a picture (H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
    return pixels
