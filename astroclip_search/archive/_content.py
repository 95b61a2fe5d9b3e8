# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Tell a picture from an error page, and a whole one from a part."""

__all__ = ['HEAD', 'KINDS', 'check_head', 'check_tail']

HEAD = 64  # bytes from which the kind of a file is told
KINDS = ('image', 'any')

_JPEG = b'\xff\xd8\xff'
_PNG = b'\x89PNG\r\n\x1a\n'
_FITS = b'SIMPLE  ='
# FITS may be gzipped or bzipped; what is inside shows when it is read.
_IMAGES = (
    _JPEG, _PNG, _FITS, b'GIF8', b'II*\0', b'MM\0*', b'\x1f\x8b', b'BZh',
    b'\0\0\0\x0cjP  ',
)  # fmt: skip
_PAGES = (b'<!doctype', b'<html', b'<head', b'<body')


def check_head(head, kind):
    """
    Judge a file by its first bytes.

    Parameters
    ----------
    head : bytes
        The first bytes, 64 at most.
    kind : {'image', 'any'}
        What was asked for. An HTML page is never what was asked for.

    Returns
    -------
    reason : str or None
        Why it is not that, or `None`.
    """
    if not head:
        return 'the server sent an empty file'
    start = head.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    if start.startswith(_PAGES):
        return 'the server sent an HTML page (an error or login page?)'
    if kind == 'any' or head.startswith(_IMAGES):
        return None
    if head.startswith(b'RIFF') and head[8:12] == b'WEBP':
        return None
    shown = head[:16].decode('ascii', 'backslashreplace')
    return f'the file is no picture: it starts with {shown!r}'


def check_tail(path):
    """
    Judge by its end whether a file of unknown length is complete.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file.

    Returns
    -------
    reason : str or None
        Why it is not, or `None`, also for kinds whose end cannot be told.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(16)
        # Some writers append data after the end mark.
        file.seek(max(0, size - 4096))
        tail = file.read()
    if (
        (head.startswith(_JPEG) and b'\xff\xd9' not in tail)
        or (head.startswith(_PNG) and b'IEND' not in tail)
        or (head.startswith(_FITS) and size % 2880)
    ):
        return f'the file is cut off after {size} bytes'
    return None
