using Microsoft.Extensions.DependencyInjection;
using RedisSessions;
using RedisSessions.Users;

namespace Microsoft.AspNetCore.Http;

/// <summary>Whose a session is. Needs <c>AddRedisSession(...).AddUserIndex()</c>.</summary>
public static class UserSessionExtensions
{
    /// <summary>The user to whom the session is bound; <see langword="null"/> if it is bound to none, or unavailable.</summary>
    /// <param name="session">The session.</param>
    public static string? GetUserId(this ISession session) => RedisSessionExtensions.Require(session).GetMetadata(UserFields.UserId);

    /// <summary>Binds the session to a user, under a new id. See <see cref="RedisSessions.IUserSessions.BindCurrentSessionAsync"/>.</summary>
    /// <param name="session">The session.</param>
    /// <param name="userId">The user.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="InvalidOperationException">The user index is not registered, or the response has started.</exception>
    public static Task BindUserAsync(this ISession session, string userId, CancellationToken cancellationToken = default)
    {
        var ours = RedisSessionExtensions.Require(session);
        ArgumentException.ThrowIfNullOrEmpty(userId);
        var binding = ours.Context?.RequestServices.GetService<UserBinding>()
            ?? throw new InvalidOperationException("The index of users' sessions is not registered. Write services.AddRedisSession(...).AddUserIndex().");
        return binding.BindAsync(ours, new UserBond(UserIndexOptions.Normalize(userId), Scheme: null), cancellationToken);
    }
}
