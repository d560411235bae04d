using Microsoft.Extensions.Logging;
using RedisSessions.Diagnostics;

namespace RedisSessions.Security;

/// <summary>Hands an event to every sink; one that throws harms neither the request nor the others.</summary>
internal sealed class SecurityEvents(IEnumerable<ISessionSecurityEvents> sinks, ILogger<SecurityEvents> logger)
{
    private readonly ISessionSecurityEvents[] _sinks = [.. sinks];

    public void Report(SessionSecurityEventKind kind, Guid? session, string? userId = null, string? detail = null) =>
        Report(new SessionSecurityEvent(kind, session?.ToString(), userId, detail));

    public void Report(SessionSecurityEvent securityEvent)
    {
        foreach (var sink in _sinks)
        {
            try
            {
                sink.Report(securityEvent);
            }
            catch (Exception exception)
            {
                logger.SecurityEventSinkFailed(exception);
            }
        }
    }
}

/// <summary>The default sink: structured log entries with stable event ids.</summary>
internal sealed class LoggedSecurityEvents(ILogger<LoggedSecurityEvents> logger) : ISessionSecurityEvents
{
    public void Report(SessionSecurityEvent securityEvent)
    {
        var (session, user, detail) = (securityEvent.SessionId, securityEvent.UserId, securityEvent.Detail);
        switch (securityEvent.Kind)
        {
            case SessionSecurityEventKind.Mismatch: logger.SecurityMismatch(session, user, detail); break;
            case SessionSecurityEventKind.Rejected: logger.SecurityRejected(session, user, detail); break;
            case SessionSecurityEventKind.DestroyedByValidation: logger.SecurityDestroyed(session, user, detail); break;
            case SessionSecurityEventKind.LimitReached: logger.SecurityLimitReached(session, user, detail); break;
            case SessionSecurityEventKind.DecryptionFailed: logger.SecurityDecryptionFailed(session, user, detail); break;
            case SessionSecurityEventKind.Regenerated: logger.SecurityRegenerated(session, user, detail); break;
            case SessionSecurityEventKind.Revoked: logger.SecurityRevoked(session, user, securityEvent.EndReason, securityEvent.By, detail); break;
            case SessionSecurityEventKind.SignedIn: logger.SecuritySignedIn(session, user, detail); break;
            case SessionSecurityEventKind.SignedOut: logger.SecuritySignedOut(session, user, securityEvent.EndReason); break;
            case SessionSecurityEventKind.SignInRefused: logger.SecuritySignInRefused(user, detail); break;
            case SessionSecurityEventKind.StepUpRefused: logger.SecurityStepUpRefused(session, user); break;
            case SessionSecurityEventKind.NewDevice: logger.SecurityNewDevice(session, user, securityEvent.DeviceId, securityEvent.IsFirstDevice, detail); break;
            case SessionSecurityEventKind.ReturnedAfterEnd: logger.SecurityReturnedAfterEnd(session, user, securityEvent.EndReason); break;
            case SessionSecurityEventKind.Suspicious: logger.SecuritySuspicious(session, user, detail); break;
        }
    }
}
