using Microsoft.Playwright;

namespace RedisSessions.Tests.Sample;

/// <summary>Whatever a test is about: no page of it may report an error, nor ask another host for anything.</summary>
[Collection(InChromium.Name)]
public abstract class InChromiumTest : IAsyncDisposable
{
    protected InChromiumTest(SampleInChromium sample)
    {
        SampleInChromium.SkipIfMissing();
        Sample = sample;
    }

    protected SampleInChromium Sample { get; }

    protected static async Task<string> TextAsync(IPage page, string selector) => (await page.TextContentAsync(selector))!;

    protected static Task ShowsAsync(IPage page, string selector, string text) => Eventually.TrueAsync(
        async () => await page.Locator(selector).CountAsync() > 0 && (await TextAsync(page, selector)).Contains(text, StringComparison.Ordinal), what: $"{selector} shows {text}");

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Assert.Empty(await Sample.CloseContextsAsync());
    }
}
