# Licensed under a 3-clause BSD style license - see licenses/LICENSE.rst
"""
Configuration items.

Items are read when a call is made, never at import, so ``conf.set_temp``
works. The order is: an explicit argument, then the item, then its default.
"""

from astropy.config import ConfigItem, ConfigNamespace

__all__ = ['Conf', 'conf']


class Conf(ConfigNamespace):
    """Configuration parameters for `astroclip_search`."""

    model = ConfigItem(
        'astroclip-small',
        'Model that is used where none is named: the name of a shipped '
        'model, a bundle directory, "architecture/weights" of open_clip, or '
        '"hf-hub:organisation/model".',
    )
    collection = ConfigItem(
        'starter',
        'Collection that is searched where none is named: the name of a '
        'shipped collection or a directory.',
    )
    collection_path = ConfigItem(
        '',
        'Directories in which collections are looked up by name, separated '
        'as in PATH.',
    )
    limit = ConfigItem(20, 'Number of rows that a search returns.')
    batch_size = ConfigItem(32, 'Images or texts that are embedded at once.')
    device = ConfigItem(
        'auto', 'Device of the torch backend: "auto", "cpu", "cuda", "cuda:1".'
    )
    backend = ConfigItem(
        ['auto', 'torch', 'onnx'],
        'Backend that runs models: "onnx" (CPU, bundles that carry graphs), '
        '"torch", or "auto": "onnx" on a CPU where the bundle allows it.',
    )
    precision = ConfigItem(
        ['auto', 'fp32', 'bf16', 'fp16'],
        'Arithmetic of the torch backend: "auto" is "bf16" on CUDA and '
        '"fp32" on a CPU.',
    )
    progress = ConfigItem(
        ['auto', 'on', 'off'],
        'Progress bars: "auto" shows them in terminals and notebooks.',
    )
    workers = ConfigItem(
        0, 'Threads that read and render images; 0 means one for each core.'
    )
    hips_survey = ConfigItem(
        'CDS/P/DSS2/color',
        'HiPS from which cutouts at a sky position are taken.',
    )
    timeout = ConfigItem(
        60.0, 'Seconds without an answer after which a download is given up.'
    )
    retries = ConfigItem(4, 'How often a failed download is tried again.')
    download_workers = ConfigItem(
        4, 'Downloads under way at once from one archive.'
    )
    max_download_size = ConfigItem(
        2_000_000_000, 'Bytes above which a download is refused.'
    )


conf = Conf()
