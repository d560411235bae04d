namespace RedisSessions.Sessions;

/// <summary>Metadata of an endpoint whose session must not be older than its request.</summary>
internal interface ISessionValidatedMetadata;
