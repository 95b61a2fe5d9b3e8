# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Partial files, and whether they can be resumed.

Beside each lies what tells later that the file on the server is still the
same: a strong ETag, or the date of its last change (RFC 9110, 13.1.5).
"""

import contextlib

from astroclip_search.archive._content import HEAD

__all__ = ['continues', 'discard', 'keep_tag', 'resumable']


def _tag_path(part):
    return part.with_suffix('.tag')


def keep_tag(response, part):
    """Keep what tells later whether the partial file can be resumed."""
    discard(part)
    tag = response.headers.get('ETag') or ''
    if not tag.startswith('"'):  # none, or a weak one: not byte for byte
        tag = response.headers.get('Last-Modified')
    if tag and 'Content-Encoding' not in response.headers:
        _tag_path(part).write_text(tag, encoding='latin-1')


def resumable(part):
    with contextlib.suppress(OSError):
        tag = _tag_path(part).read_text(encoding='latin-1')
        size = part.stat().st_size
        # Less than the head: not checked yet, and nothing is lost.
        if tag and size >= HEAD:
            return size, tag
    return 0, ''


def continues(response, offset):
    content = response.headers.get('Content-Range', '')
    return offset > 0 and content.startswith(f'bytes {offset}-')


def discard(part):
    part.unlink(missing_ok=True)
    _tag_path(part).unlink(missing_ok=True)
