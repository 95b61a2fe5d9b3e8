# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Results in a notebook; hostile texts stay texts."""

from html.parser import HTMLParser

from _rows import jpeg, rows

from astroclip_search.results import Description, SearchResult

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Tags(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data):
        self.texts.append(data)


def test_hostile_texts_stay_texts():
    table = rows()
    table['target_name'] = [HOSTILE] * 5
    table['obs_title'] = [HOSTILE] * 5
    table['access_url'] = [
        'javascript:alert(1)',
        'data:text/html,<script>alert(1)</script>',
        f'https://example.org/{HOSTILE}',
        HOSTILE,
        'HTTPS://example.org/a.jpg',
    ]
    result = SearchResult.from_rows(
        table,
        thumbnails=[b'<script>', jpeg(), None, None, None],
        meta={'query': HOSTILE},
    )
    page = Tags(result._repr_html_())
    assert 'script' not in page.tags
    assert page.tags.count('img') == 1
    assert not any(name.startswith('on') for name, _ in page.attributes)
    links = [value for name, value in page.attributes if name == 'href']
    assert links == [
        f'https://example.org/{HOSTILE}',
        'HTTPS://example.org/a.jpg',
    ]
    assert page.texts.count(HOSTILE) >= 11


def test_thumbnails_and_numbers_are_shown(result):
    page = Tags(result._repr_html_())
    assert page.tags.count('img') == 2
    assert page.tags.count('tr') == 6
    assert '0.999' in page.texts
    assert '5 rows' in ''.join(page.texts)


def test_description_shows_bars_and_null():
    description = Description.from_scores(
        [HOSTILE, 'b'],
        similarity=[0.2, 0.1],
        false_match_rate=[0.0, 0.9],
        null_rate=0.5,
    )
    page = Tags(description._repr_html_())
    assert 'script' not in page.tags
    assert page.texts.index(HOSTILE) < page.texts.index('(none of these)')
    widths = [v for k, v in page.attributes if k == 'style']
    assert 'width:100px' in widths[0]
    assert 'width:10px' in widths[2]
