namespace RedisSessions.Tests.Sample;

/// <summary>Tests that look at the sample in Chromium: they share one site and one browser, and run when no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class InChromium : ICollectionFixture<SampleInChromium>
{
    public const string Name = "in Chromium";
}
