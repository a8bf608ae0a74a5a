"""What is it? Labels of a file, computed where it lies: counts leave the endpoint, never the content.

For collectors:

    labeller = Labeller(settings)              # settings: table [labels]; nothing is started yet
    labels = labeller.label(source)            # blocks for a bounded time; never raises for what the file is
    labels = label_file(fd_or_path, labeller)  # the same for a descriptor or a path
    labeller.rest()                            # ends the process; the next file starts another one

`source` gives pieces of the file when asked (Source); the collector decides how it opens it, and that it
is the same file still. `labels` is a FileLabels: mime_type and is_encrypted go to the event's `file`,
classifications() to `file.data_classifications`, `gap` to `unmapped.evidence.gap`, and event_metadata(…,
labelled=True) where classifications() is not None. One Labeller for each thread that labels.

Inside: labeller.py (agent's side) · protocol.py · child.py (the process) · confinement.py · reading.py
(one file) · file_kind.py, text_encoding.py, plain_text.py, office_xml.py, pdf.py, compound_file.py,
unpacking.py (formats) · one file for each thing that is found. Limits: settings.py, budget.py. How well
it works: docs/labels.md."""

from collectors.labels.file_labels import FileLabels
from collectors.labels.labeller import Labeller, OpenFile, Source, label_file
from collectors.labels.settings import LabelSettings

__all__ = ["FileLabels", "LabelSettings", "Labeller", "OpenFile", "Source", "label_file"]
