using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Options;

namespace RedisSessions.Storage;

/// <summary>The clock and the timeouts that hold for every session that has none of its own.</summary>
internal sealed class SessionTimeouts(IOptions<RedisSessionOptions> options, IOptions<SessionOptions> sessionOptions, TimeProvider clock)
{
    public TimeProvider Clock { get; } = clock;

    /// <summary>Unix milliseconds.</summary>
    public long Now => Clock.GetUtcNow().ToUnixTimeMilliseconds();

    public TimeSpan IdleTimeout => sessionOptions.Value.IdleTimeout;

    /// <summary>0 where there is no absolute timeout.</summary>
    public long AbsoluteMilliseconds { get; } = options.Value.AbsoluteTimeout is { } absolute ? SessionHash.Milliseconds(absolute) : 0;
}
