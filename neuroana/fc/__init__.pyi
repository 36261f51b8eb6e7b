from .registry import Op as Op
from .registry import list_operators as list_operators
from .registry import operator as operator
from .transformer import Connectivity as Connectivity
from .transformer import connectivity as connectivity
