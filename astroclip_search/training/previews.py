# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Preview images of proposals, from MAST."""

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.table import Table

from astroclip_search._progress import progress_bar
from astroclip_search.config import conf
from astroclip_search.exceptions import AstroClipError, TrainingError
from astroclip_search.training._files import Journal, read_rows, write_text

__all__ = ['fetch_previews']

LISTS, FAILURES = 'previews.jsonl', 'failures.jsonl'


def fetch_previews(
    proposals,
    folder,
    *,
    per_proposal=20,
    obs_collection='HST',
    seed=0,
    progress=None,
):
    """
    Fetch preview images of proposals.

    The query and the filter of products are those of the paper (section
    3.1): public, of type PREVIEW, "total" in the name and not "color". The
    images of a proposal are drawn without replacement; the code of the paper
    drew with it by mistake. What is there already is not fetched again.

    Parameters
    ----------
    proposals : iterable of str or int
        Identifiers of the proposals.
    folder : path-like
        Where the images go, with ``previews.jsonl`` (what MAST listed, by
        proposal) and ``failures.jsonl``.
    per_proposal : int, optional
        Most images of a proposal.
    obs_collection : str, optional
        Collection of MAST.
    seed : int, optional
        Seed of the draws; a proposal's draw depends on nothing else.
    progress : bool, optional
        Whether to show a progress bar. The default is ``conf.progress``.

    Returns
    -------
    images : `~astropy.table.Table`
        A row for each image that is there: ``image`` (its path), ``id``,
        ``proposal_id``, ``s_ra``, ``s_dec``, ``instrument_name``..., ready
        for `build_pairs`. ``meta['failures']`` counts proposals and images
        that could not be had.

    Raises
    ------
    TrainingError
        If not one image is there in the end.
    """
    from astroclip_search.archive import download

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    proposals = list(dict.fromkeys(str(p) for p in proposals))
    with Journal(folder / LISTS) as journal:
        key = {p: f'{obs_collection}/{p}' for p in proposals}
        missing = [p for p in proposals if key[p] not in journal]

        def ask(proposal):
            try:
                return proposal, _list(proposal, obs_collection), None
            except AstroClipError as exc:
                return proposal, None, str(exc)

        failures = []
        with ThreadPoolExecutor(conf.download_workers) as pool:
            answers = progress_bar(
                pool.map(ask, missing),
                total=len(missing),
                desc='proposals',
                show=progress,
            )
            for proposal, rows, error in answers:
                if error is None:
                    journal.add(key[proposal], rows)
                else:
                    failures.append({'proposal_id': proposal, 'reason': error})
        chosen = []
        for proposal in proposals:
            rows = journal.get(key[proposal]) or []
            rng = np.random.default_rng([seed, zlib.crc32(proposal.encode())])
            drawn = rng.permutation(len(rows))[:per_proposal]
            chosen += [rows[i] for i in sorted(drawn)]
    report = download(
        [row['access_url'] for row in chosen],
        folder / 'images',
        seed=seed,
        progress=progress,
    )
    failures += [
        {'access_url': str(url), 'reason': str(reason)}
        for url, reason in report.failures.iterrows()
    ]
    write_text(
        folder / FAILURES, ''.join(json.dumps(row) + '\n' for row in failures)
    )
    images = [
        {**row, 'image': str(path)}
        for row, path in zip(chosen, report.paths, strict=True)
        if path is not None
    ]
    if not images:
        reason = failures[0]['reason'] if failures else 'MAST lists none'
        msg = (
            f'There is no preview of the {len(proposals)} proposals '
            f'({reason}); {folder / FAILURES} says more.'
        )
        raise TrainingError(msg)
    table = Table(rows=images, names=list(images[0]))
    table.meta['failures'] = len(failures)
    return table


def _list(proposal, obs_collection):
    """Previews of a proposal, in the order of their names."""
    from astroclip_search.archive import mast_previews

    table = mast_previews(
        obs_collection=obs_collection, proposal_id=proposal, progress=False
    )
    names = (
        'id', 'access_url', 'obs_id', 'proposal_id', 's_ra', 's_dec',
        'facility_name', 'instrument_name', 'target_name', 'filters',
    )  # fmt: skip
    rows = [
        {'proposal_id': proposal, **{n: row.get(n) for n in names if n in row}}
        for row in read_rows(table)
    ]
    for row in rows:
        # A table needs every column in every row.
        for name in names:
            missing = np.nan if name in ('s_ra', 's_dec') else ''
            row.setdefault(name, missing)
    return sorted(rows, key=lambda row: row['id'])
