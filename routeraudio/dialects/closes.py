"""Close codes for clients that know only those of the standard."""

from routeraudio.model.errors import CloseCode, Fault


def standard(fault: Fault) -> CloseCode:
    """1008 for what the client did, 1011 for everybody else; what is standard already stays."""
    match fault.close_code:
        case CloseCode.UNAUTHORIZED | CloseCode.FORBIDDEN | CloseCode.UNSUPPORTED_DATA | CloseCode.BUDGET:
            return CloseCode.POLICY
        case CloseCode.PROVIDER | CloseCode.TIMEOUT:
            return CloseCode.INTERNAL
        case code:
            return code
