"""What the errors of S3 mean: one sentence each, that says what to look at, and holds no secret."""

from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
    TokenRetrievalError,
)

from models.errors import (
    DocumentMissing,
    DocumentTooLarge,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    printable,
)

_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL, if the bucket is not at AWS)"
_RIGHTS = "it has to allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"
_REGION = "check AWS_REGION (and AWS_ENDPOINT_URL, if the bucket is not at AWS)"
_EXPIRED = "its session token is not valid (any more); get new temporary credentials and set AWS_SESSION_TOKEN"

_REFUSALS = {
    "InvalidAccessKeyId": f"it does not know the access key; {_KEYS}",
    "SignatureDoesNotMatch": f"the secret key does not fit the access key; {_KEYS}",
    "AuthorizationHeaderMalformed": f"the bucket is in another region; {_REGION}",
    "PermanentRedirect": f"the bucket is in another region; {_REGION}",
    "IllegalLocationConstraintException": f"the bucket is in another region; {_REGION}",
    "301": f"the bucket is in another region; {_REGION}",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
    "RequestExpired": "the clock of this machine is wrong; set it",
    "AccountProblem": "there is a problem with the account; ask whoever runs the bucket",
    "AllAccessDisabled": "access to the bucket is switched off; ask whoever runs it",
    "InvalidBucketName": "the bucket cannot have that name; check QULEDGER_STORAGE",
    "NotImplemented": "it cannot do conditional writes (If-None-Match), without which two workers could take one job",
}
_DENIED = frozenset({"AccessDenied", "403", "UnauthorizedAccess", "InvalidObjectState", "MethodNotAllowed", "405"})
_FULL = frozenset(
    {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "507"}
)
"""What AWS itself never says, and servers that speak its protocol do."""
_TOO_LARGE = frozenset({"EntityTooLarge", "413"})
_MISSING = frozenset({"NoSuchKey", "404", "NoSuchVersion"})


def code_of(error: BaseException) -> str:
    """Return S3's code of an error; empty where S3 has said nothing."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def meaning(error: Exception, path: str, bucket: str, size: int = 0) -> StorageError:
    """Return the contract's error for whatever came of a request about `path`.

    Args:
        size: of the document that was to be written, in bytes.
    """
    code = code_of(error)
    if code in _FULL:
        return StorageFull(f"the bucket {bucket} has no room for {path} ({size} bytes): {code}; make room there", size)
    if code in _TOO_LARGE:
        return DocumentTooLarge(f"the bucket {bucket} takes no document as large as {path} ({size} bytes)", size)
    return _said(code, path, bucket) if code else _unanswered(error, path, bucket)


def _said(code: str, path: str, bucket: str) -> StorageError:
    """Return what one of the other codes of S3 means."""
    if code in _MISSING:
        return DocumentMissing(path)
    if code == "NoSuchBucket":
        return StorageRefused(
            f"the bucket {bucket} does not exist there; check QULEDGER_STORAGE, AWS_REGION and AWS_ENDPOINT_URL"
        )
    if code in _DENIED:
        return StorageRefused(
            f"the bucket {bucket} denies access to {path}; the rights of the access key do not suffice: {_RIGHTS}"
        )
    if code in _REFUSALS:
        return StorageRefused(f"the bucket {bucket} cannot be used: {_REFUSALS[code]}")
    return StorageUnavailable(f"S3 does not answer for {path}: {printable(code)}")


def _unanswered(error: Exception, path: str, bucket: str) -> StorageError:
    """Return what it means that S3 has said nothing."""
    kind: type[StorageError] = StorageRefused
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            words = f"there are no credentials for the bucket {bucket}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        case ProfileNotFound():
            words = "there is no such profile in AWS's own files; check AWS_PROFILE"
        case TokenRetrievalError() | CredentialRetrievalError():
            words = f"the credentials for the bucket {bucket} cannot be renewed; log in again"
        case RecursionError():  # botocore follows a redirection that does not say where to
            words = f"the bucket {bucket} is elsewhere; {_REGION}"
        case ValueError() if "endpoint" in str(error).lower():
            words = "the endpoint of S3 is no URL; check AWS_ENDPOINT_URL and write https://host:port"
        case SSLError():
            words = (
                f"{_host(error)} shows no certificate that is trusted here; check AWS_ENDPOINT_URL and AWS_CA_BUNDLE"
            )
            kind = StorageUnavailable
        case EndpointConnectionError() | ConnectTimeoutError():
            words = f"{_host(error)} cannot be reached; check AWS_ENDPOINT_URL and the network"
            kind = StorageUnavailable
        case BotoCoreError() if not isinstance(error, HTTPClientError):
            words = f"the bucket {bucket} cannot be used: {type(error).__name__}; check the AWS_... variables"
        case _:
            words = f"S3 does not answer for {path}: {type(error).__name__}"
            kind = StorageUnavailable
    return kind(words)


def _host(error: BotoCoreError) -> str:
    """Return the server's name and port, and nothing else of its URL."""
    parts = urlsplit(str(error.kwargs.get("endpoint_url", "")))
    try:
        where = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        where = None
    return printable(where) if where else "the S3 server"
