namespace RedisSessions;

/// <summary>What becomes of a response whose session could not be committed.</summary>
public enum CommitFailure
{
    /// <summary>
    /// The request fails: with status 500 if its response has not started, else its connection is aborted, so that the client does not
    /// take it for complete.
    /// </summary>
    Throw,

    /// <summary>It is logged and the response goes out, as with the in-box session.</summary>
    Log,
}
