"""What can go wrong around certificates. Each class says who has to change something for the error to go away."""


class CertsError(Exception):
    """Base of everything this plane raises on purpose; the message is one sentence."""


class FileUnusable(CertsError):
    """The operator's fault: a file of the CA directory, or of the agent, cannot be used as it is."""


class CsrRefused(CertsError):
    """The caller's fault: the signing request asks for what is never given. Do not retry unchanged."""


class CsrMalformed(CsrRefused):
    """The request itself is no good, whoever sent it."""


class AuthenticationFailed(CertsError):
    """The caller did not prove who it is. The reason goes to our log; the caller is told nothing of it."""


class CaUnavailable(CertsError):
    """The CA did not answer, or said that it cannot now. Retrying later is right."""


class CaRefused(CertsError):
    """The CA answered no (token, identity or request). Retrying helps only after the token or the CA has changed."""


class AgentError(CertsError):
    """pymesh-agent cannot start as asked; the message is for the person at the terminal."""
