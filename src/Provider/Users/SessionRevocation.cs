namespace RedisSessions;

/// <summary>Why a session is being revoked, and by whom: what its browser learns, and what is written to the record.</summary>
/// <param name="Reason">What the browser's next request learns. Default <see cref="SessionEndReason.Revoked"/>.</param>
/// <param name="By">Who does it, as an administrator's id; <see langword="null"/> for the user, or nobody in particular. In events; in Redis only for <see cref="ISessionLifecycle"/>, until that was told.</param>
/// <param name="Note">What for, in the administrator's words; may be <see langword="null"/>. In events; in Redis only for <see cref="ISessionLifecycle"/>, until that was told.</param>
public sealed record SessionRevocation(SessionEndReason Reason = SessionEndReason.Revoked, string? By = null, string? Note = null);
