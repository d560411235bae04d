namespace RedisSessions.Sessions;

/// <summary>What became of a request that wanted a turn.</summary>
internal enum TurnOutcome
{
    /// <summary>It has it, and its session is as the one before left it; or there was nothing to wait for.</summary>
    Taken,

    /// <summary>It waited for as long as it may.</summary>
    TimedOut,

    /// <summary>Redis could not be asked.</summary>
    WithoutRedis,

    /// <summary>The sign-in that it was authenticated by ended while it waited.</summary>
    SignInEnded,
}
