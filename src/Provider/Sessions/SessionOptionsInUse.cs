using Microsoft.AspNetCore.Builder;

namespace RedisSessions.Sessions;

/// <summary>
/// A feature of the request: the options that its SessionMiddleware was given in place of the container's, and does not tell.
/// </summary>
/// <param name="Options">The options.</param>
internal sealed record SessionOptionsInUse(SessionOptions Options);
