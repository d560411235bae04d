namespace RedisSessions.Sessions;

/// <summary>Hears of changes of sessions, beside the copies. Called one after the other, ahead of everything else that is heard: must be quick, and not throw.</summary>
internal interface IChangeListener
{
    /// <summary>A session is at this version now; at <see cref="Storage.SessionSnapshot.NoVersion"/> it is no more, under this key.</summary>
    void Changed(string key, long version);

    /// <summary>Some changes may not have been heard.</summary>
    void MayHaveMissed();
}
