"""Graph backbones: each takes its user and item tables as arguments.

Adding one: a file with the model and its settings, and a line here in each of three places.

- The model is a `Backbone` (backbone.py says what it must have). Its constructor takes
  ``(user_table, item_table, interactions, *, …)`` and then by keyword what ``USES`` and
  ``PREFERENCES`` name (``features``, ``neighbours``, ``preference_tables``, each a mapping by
  modality), then hyper-parameters. `urecjpq.build` makes and passes all of these.
- Its settings are a `BackboneSettings` with the same hyper-parameters and defaults, a ``name``
  and ``MODEL``.
- Features enter through `frozen_features`, which checks them, and are never parameters. Rows of
  items without content are zeros; the model's docstring says what that does to them.
- Preference tables are made by `urecjpq.tables.sibling`: codes shared with the user table, values
  of their own. A direct caller does the same.
- Constant sparse matrices are a `Graph`; modules by modality are kept with `by_modality`.
- Training draws from torch's own generator (dropout), which the loop seeds by seed and epoch, or
  from the generator that ``start_epoch`` gets. ``loss`` keeps nothing between two epochs.
- ``vectors`` is a function of trained values and given data alone. If it needs features, say so by
  ``VECTORS_NEED_FEATURES``, and the run folder stores the vectors.

tests/contracts/test_backbone.py runs over every model that is registered here; tests/parity needs a
dense reference of its propagation.
"""

from typing import Annotated, get_args

from pydantic import Field

from urecjpq.graphs.backbone import Backbone as Backbone
from urecjpq.graphs.backbone import BackboneSettings
from urecjpq.graphs.bm3 import BM3 as BM3
from urecjpq.graphs.bm3 import BM3Config as BM3Config
from urecjpq.graphs.bprmf import BPRMF as BPRMF
from urecjpq.graphs.bprmf import BPRMFConfig as BPRMFConfig
from urecjpq.graphs.dragon import DRAGON as DRAGON
from urecjpq.graphs.dragon import DRAGONConfig as DRAGONConfig
from urecjpq.graphs.dualgnn import DualGNN as DualGNN
from urecjpq.graphs.dualgnn import DualGNNConfig as DualGNNConfig
from urecjpq.graphs.freedom import FREEDOM as FREEDOM
from urecjpq.graphs.freedom import FREEDOMConfig as FREEDOMConfig
from urecjpq.graphs.grcn import GRCN as GRCN
from urecjpq.graphs.grcn import GRCNConfig as GRCNConfig
from urecjpq.graphs.lattice import LATTICE as LATTICE
from urecjpq.graphs.lattice import LATTICEConfig as LATTICEConfig
from urecjpq.graphs.lgmrec import LGMRec as LGMRec
from urecjpq.graphs.lgmrec import LGMRecConfig as LGMRecConfig
from urecjpq.graphs.lightgcn import LightGCN as LightGCN
from urecjpq.graphs.lightgcn import LightGCNConfig as LightGCNConfig
from urecjpq.graphs.mgcn import MGCN as MGCN
from urecjpq.graphs.mgcn import MGCNConfig as MGCNConfig
from urecjpq.graphs.mmgcn import MMGCN as MMGCN
from urecjpq.graphs.mmgcn import MMGCNConfig as MMGCNConfig
from urecjpq.graphs.slmrec import SLMRec as SLMRec
from urecjpq.graphs.slmrec import SLMRecConfig as SLMRecConfig
from urecjpq.graphs.smore import SMORE as SMORE
from urecjpq.graphs.smore import SMOREConfig as SMOREConfig
from urecjpq.graphs.vbpr import VBPR as VBPR
from urecjpq.graphs.vbpr import VBPRConfig as VBPRConfig

BackboneConfig = Annotated[
    LightGCNConfig
    | BPRMFConfig
    | VBPRConfig
    | MMGCNConfig
    | GRCNConfig
    | DualGNNConfig
    | LATTICEConfig
    | SLMRecConfig
    | BM3Config
    | FREEDOMConfig
    | MGCNConfig
    | LGMRecConfig
    | DRAGONConfig
    | SMOREConfig,
    Field(discriminator="name"),
]

BACKBONES: dict[str, type[BackboneSettings]] = {
    config.model_fields["name"].default: config for config in get_args(get_args(BackboneConfig)[0])
}
"""The settings of every backbone by its name; ``MODEL`` of the settings is the class."""
