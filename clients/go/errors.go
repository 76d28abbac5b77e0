package codevector

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is the error of every failed call, unless the caller's context ended: then it is the context's error. It
// contains no secrets.
type Error struct {
	Reason   string            // the stable word of the API's error table
	Message  string            // a sentence for people
	Metadata map[string]string // the variables of the message, if the server sent them
	cause    error
}

// The reasons a router branches on, for errors.Is.
var (
	// ErrStoreUnavailable: the registry does not respond in time. Keep using the table.
	ErrStoreUnavailable = &Error{Reason: "STORE_UNAVAILABLE"}
	// ErrKMSUnavailable: this router's key sidecar does not respond in time.
	ErrKMSUnavailable = &Error{Reason: "KMS_UNAVAILABLE"}
	// ErrNotFound: the resource does not exist or is not active.
	ErrNotFound = &Error{Reason: "RESOURCE_NOT_FOUND"}
	// ErrProviderDisabled: the registry does not return credentials of disabled providers.
	ErrProviderDisabled = &Error{Reason: "PROVIDER_DISABLED"}
	// ErrNoStoredCredential: the provider has no credential; some kinds work without one.
	ErrNoStoredCredential = &Error{Reason: "NO_STORED_CREDENTIAL"}
	// ErrKeyVersionUnavailable: the sidecar cannot unwrap with the key version of the data key.
	ErrKeyVersionUnavailable = &Error{Reason: "KEY_VERSION_UNAVAILABLE"}
	// ErrCredentialCorrupt: the sealed credential does not open for this provider as it is configured. One error for
	// every cause.
	ErrCredentialCorrupt = &Error{Reason: "CREDENTIAL_CORRUPT"}
	// ErrDestinationRefused: the credential may not be sent there.
	ErrDestinationRefused = &Error{Reason: "DESTINATION_REFUSED"}
	// ErrRegistryRolledBack: the registry shows a credential older than one this router has opened.
	ErrRegistryRolledBack = &Error{Reason: "REGISTRY_ROLLED_BACK"}
	// ErrMalformedStream: a watch sent an invalid message. The table in use is unchanged.
	ErrMalformedStream = &Error{Reason: "MALFORMED_STREAM"}
)

func (e *Error) Error() string { return fmt.Sprintf("codevector: %s: %s", e.Reason, e.Message) }

// Is compares reasons, so that errors.Is(err, ErrCredentialCorrupt) holds for every such error.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Reason == e.Reason
}

// Unwrap returns the status of the failed call, if there was one.
func (e *Error) Unwrap() error { return e.cause }

func fail(kind *Error, format string, arguments ...any) error {
	return &Error{Reason: kind.Reason, Message: fmt.Sprintf(format, arguments...)}
}

var errCorrupt = fail(ErrCredentialCorrupt,
	"the sealed credential does not open for this provider as it is configured: set its credential again")

var reasonByCode = map[codes.Code]string{
	codes.InvalidArgument:  "INVALID_FIELD",
	codes.NotFound:         ErrNotFound.Reason,
	codes.Unauthenticated:  "UNAUTHENTICATED",
	codes.PermissionDenied: "ROLE_REQUIRED",
	codes.DataLoss:         ErrCredentialCorrupt.Reason,
}

// fromCall types the error of a call made in the caller's context; away is the error for a server that does not
// respond.
func fromCall(ctx context.Context, err error, away *Error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fromStatus(status.Convert(err), away)
}

// fromItem types the error of one item of a batch.
func fromItem(item *spb.Status, away *Error) error { return fromStatus(status.FromProto(item), away) }

func fromStatus(st *status.Status, away *Error) error {
	typed := &Error{Reason: reasonByCode[st.Code()], Message: st.Message(), cause: st.Err()}
	if st.Code() == codes.Unavailable || st.Code() == codes.DeadlineExceeded {
		typed.Reason = away.Reason
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() != "" {
			typed.Reason, typed.Metadata = info.GetReason(), info.GetMetadata()
			break
		}
	}
	if typed.Reason == "" {
		typed.Reason = "INTERNAL"
	}
	return typed
}
