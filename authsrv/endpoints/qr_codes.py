"""Addresses as QR codes, for devices that show one to another. Knows no address's meaning."""

import asyncio


async def qr_code(text: str) -> str:
    """An SVG image: dark on light with the quiet zone that the standard asks for, in a size that its page decides.

    Drawn in a thread: it takes some ten milliseconds.
    """
    return await asyncio.to_thread(_draw, text)


def _draw(text: str) -> str:
    import segno  # noqa: PLC0415 - takes ten megabytes, of which most servers never draw a line

    code = segno.make_qr(text, error="m")
    return code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass=None, lineclass=None)
