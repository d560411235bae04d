namespace RedisSessions.Storage;

/// <summary>What a session may hold, its metadata aside.</summary>
/// <param name="Fields">How many fields.</param>
/// <param name="Bytes">How many bytes, names and values.</param>
internal readonly record struct SessionLimits(long Fields, long Bytes);
