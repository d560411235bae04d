namespace RedisSessions.Redis;

/// <summary>What must be there before something that is sent again, as it was sent before it the first time and may have been lost with it.</summary>
internal interface IBeforeAgain
{
    Task SendAsync();
}
