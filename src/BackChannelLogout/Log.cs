using Microsoft.Extensions.Logging;

namespace RedisSessions.BackChannelLogout;

/// <summary>Every message of this package, with nothing of a token. See docs/operations.md.</summary>
internal static partial class Log
{
    [LoggerMessage(170, LogLevel.Information, "An identity provider logged out; sessions ended: {Count}.", EventName = "BackChannelLogout")]
    public static partial void LoggedOut(this ILogger logger, long count);

    [LoggerMessage(171, LogLevel.Warning, "A logout token was refused. {Refusal}", EventName = "BackChannelLogoutRefused")]
    public static partial void LogoutRefused(this ILogger logger, string refusal);

    [LoggerMessage(172, LogLevel.Error, "An identity provider's logout failed; the provider may ask again.", EventName = "BackChannelLogoutFailed")]
    public static partial void LogoutFailed(this ILogger logger, Exception exception);
}
