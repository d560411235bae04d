namespace RedisSessions.Redis;

internal static class TaskExtensions
{
    /// <summary>For a task that nobody may be waiting for when it fails: the failure is then nobody's, and not the finalizer's either.</summary>
    public static void Observe(this Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            _ = task.ContinueWith(
                static failed => _ = failed.Exception,
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }
}
