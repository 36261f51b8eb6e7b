from .differential_affinity import DifferentialAffinity as DifferentialAffinity
from .matching import factor_match_score as factor_match_score
from .non_negative_cp import NonNegativeCP as NonNegativeCP
from .operators import AffinityOperator as AffinityOperator
from .simulate import simulate_graph as simulate_graph
from .simulate import simulate_motifs as simulate_motifs
from .simulate import simulate_tensor as simulate_tensor
