namespace RedisSessions.Tests.Infrastructure;

/// <summary>
/// Tests that run when no other does: those about how promptly a page answers, which a busy machine would answer for them,
/// and those that keep the machine busy.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
