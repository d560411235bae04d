using System.Security.Cryptography;

namespace RedisSessions.Users;

/// <summary>One request's claim to bind a ticket that was made without a session. It dies with that request.</summary>
internal sealed class SignInClaim(string number)
{
    private const int TokenBytes = 16;

    /// <summary>The ticket's.</summary>
    public string Number { get; } = number;

    /// <summary>What the claim holds in Redis while the ticket is being bound: nobody else can end it.</summary>
    public string Token { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));

    public SignInClaimState State { get; set; }

    /// <summary>The secret of the session that the ticket was bound to a moment ago, where the claim is <see cref="SignInClaimState.Shared"/>.</summary>
    public string? Secret { get; set; }

    /// <summary>Whether it may be held in Redis, and nothing has come of it.</summary>
    public bool IsOpen => State is SignInClaimState.Asked or SignInClaimState.Mine;
}

/// <summary>What became of a claim.</summary>
internal enum SignInClaimState
{
    /// <summary>Nobody knows, for the reply has not come.</summary>
    Asked,

    /// <summary>This request binds the ticket.</summary>
    Mine,

    /// <summary>The ticket is bound to the session that <see cref="Mine"/> began.</summary>
    Settled,

    /// <summary>Another request bound the ticket a moment ago.</summary>
    Shared,

    /// <summary>Another request has claimed the ticket, and does not come to an end.</summary>
    Busy,

    /// <summary>Another request bound the ticket, and too long ago to be of the same page.</summary>
    TooLate,
}
