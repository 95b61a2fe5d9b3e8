# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""Logs of a run: a CSV file, and TensorBoard where it is installed."""

import csv
import io

from astroclip_search.training._files import write_text

__all__ = ['COLUMNS', 'Log']

COLUMNS = (
    'step', 'epoch', 'rate', 'loss', 'logit_scale', 'images_per_second',
    'validation_loss', 'top_10_percent_image_to_text',
    'top_10_percent_text_to_image',
)  # fmt: skip


class Log:
    """
    The log of a run.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Directory of the run; ``log.csv`` and ``tensorboard/`` go there.
    step : int
        Step at which the run goes on; rows from there on are dropped.
    """

    def __init__(self, folder, step):
        self.path = folder / 'log.csv'
        rows = []
        if self.path.exists():
            with self.path.open(newline='', encoding='utf-8') as file:
                rows = [
                    row
                    for row in csv.DictReader(file)
                    if int(row['step']) < step
                ]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())
        self._file = self.path.open('a', newline='', encoding='utf-8')
        self._csv = csv.DictWriter(self._file, COLUMNS)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._board = None
        else:
            self._board = SummaryWriter(
                folder / 'tensorboard', purge_step=step
            )

    def add(self, step, **values):
        """Write a row; columns that are not given stay empty."""
        self._csv.writerow({'step': step, **values})
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self):
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()
