using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using RedisSessions.Analyzers;

namespace RedisSessions.Tests.Analyzers;

/// <summary>What the compiler says of an application's code, and of what it says nothing.</summary>
public sealed class AnalyzerTests
{
    private const string Usings = """
        using System;
        using System.Collections.Generic;
        using System.Threading.Tasks;
        using Microsoft.AspNetCore.Builder;
        using Microsoft.AspNetCore.Http;
        using RedisSessions;
        using RedisSessions.Json;

        """;

    private const string Types = """

        public sealed class Cart { public int Count { get; set; } public List<string> Items { get; } = []; public Cart Self() => this; public bool Contains(string item) => false; }
        """;

    /// <summary>The rule, and the text that it points at, of each thing that is said.</summary>
    private static async Task<string[]> SaidOfAsync(string code, OutputKind kind)
    {
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Select(path => MetadataReference.CreateFromFile(path));
        var compilation = CSharpCompilation.Create("application", [CSharpSyntaxTree.ParseText(Usings + code + Types)], references, new CSharpCompilationOptions(kind));
        Assert.Empty(compilation.GetDiagnostics().Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error));
        var said = await compilation.WithAnalyzers([new ChangedValueAnalyzer(), new SessionPlaceAnalyzer(), new ReadBeforeLoadAnalyzer()]).GetAnalyzerDiagnosticsAsync(TestContext.Current.CancellationToken);
        return [.. said.OrderBy(diagnostic => diagnostic.Location.SourceSpan.Start).Select(diagnostic => $"{diagnostic.Id} {diagnostic.Location.SourceTree!.GetText().ToString(diagnostic.Location.SourceSpan)}")];
    }

    private static Task<string[]> InMethodAsync(string body) => SaidOfAsync($$"""
        public sealed class Page
        {
            public object? Kept;
            public void Use(object value) { }
            public object? Show(ISession session) { {{body}} return null; }
        }
        """, OutputKind.DynamicallyLinkedLibrary);

    [Theory]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count = 2;", "RSS001 cart")]
    [InlineData("var cart = session.Get<Cart>(\"cart\") ?? new Cart(); cart.Items.Add(\"tea\");", "RSS001 cart")]
    [InlineData("var cart = session.Get<Cart>(\"cart\"); cart?.Items.Clear();", "RSS001 cart")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count++;", "RSS001 cart")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count += 2;", "RSS001 cart")]
    [InlineData("var list = session.Get<List<string>>(\"list\")!; list.Add(\"tea\");", "RSS001 list")]
    [InlineData("var map = session.Get<Dictionary<string, int>>(\"map\")!; map[\"tea\"] = 1;", "RSS001 map")]
    public async Task A_changed_value_that_is_not_set_again_is_told(string body, string said) => Assert.Equal([said], await InMethodAsync(body));

    [Theory]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count = 2; session.Set(\"cart\", cart);")]
    [InlineData("var cart = session.Get<Cart>(\"cart\") ?? new Cart(); cart.Items.Add(\"tea\"); session.Set<Cart>(\"cart\", cart);")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; return cart.Count;")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; return cart.Contains(\"tea\");")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count = 2; Use(cart);")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count = 2; Kept = cart;")]
    [InlineData("var cart = session.Get<Cart>(\"cart\")!; cart.Count = 2; return cart;")]
    [InlineData("var cart = new Cart(); cart.Count = 2;")]
    [InlineData("var cart = session.Get<Cart>(\"cart\"); cart = new Cart();")]
    [InlineData("var text = session.Get<string>(\"text\")!; text = text.Remove(1);")]
    public async Task What_is_set_again_or_is_somebody_elses_to_set_is_not(string body) => Assert.Empty(await InMethodAsync(body));

    private static Task<string[]> InPipelineAsync(string calls) => SaidOfAsync($$"""
        var app = WebApplication.CreateBuilder(args).Build();
        {{calls}}
        app.Run();
        """, OutputKind.ConsoleApplication);

    [Theory]
    [InlineData("app.UseSession(); app.UseStaticFiles();", "RSS002 app.UseStaticFiles()")]
    [InlineData("app.UseSession(); app.UseRouting();", "RSS002 app.UseRouting()")]
    [InlineData("app.UseSession().UseRouting();", "RSS002 app.UseSession().UseRouting()")]
    [InlineData("app.UseRouting(); app.UseEndpoints(_ => { }); app.UseSession();", "RSS002 app.UseSession()")]
    [InlineData("app.UseSessionValidation(); app.UseSession();", "RSS002 app.UseSession()")]
    [InlineData("((IApplicationBuilder)app).UseSession(); app.UseStaticFiles();", "RSS002 app.UseStaticFiles()")]
    public async Task A_wrong_order_is_told(string calls, string said) => Assert.Equal([said], await InPipelineAsync(calls));

    [Theory]
    [InlineData("app.UseStaticFiles(); app.UseRouting(); app.UseSession(); app.UseSessionValidation(); app.UseEndpoints(_ => { });")]
    [InlineData("app.UseStaticFiles(); app.UseSession(); app.UseAuthentication(); app.UseAuthorization(); app.MapGet(\"/\", () => 1);")]
    [InlineData("app.UseStaticFiles(); app.UseRouting();")]
    [InlineData("app.UseSession(); app.Map(\"/files\", branch => branch.UseStaticFiles());")]
    public async Task A_right_order_is_not(string calls) => Assert.Empty(await InPipelineAsync(calls));

    [Theory]
    [InlineData("app.MapGet(\"/\", [SessionPreload(false)] (HttpContext context) => context.Session.GetString(\"a\"));", "RSS003 context.Session.GetString(\"a\")")]
    [InlineData("app.MapGet(\"/\", (HttpContext context) => context.Session.GetInt32(\"a\")).DisableSessionPreload();", "RSS003 context.Session.GetInt32(\"a\")")]
    [InlineData("app.MapGet(\"/\", (HttpContext context) => context.Session.TryGetValue(\"a\", out _)).WithName(\"n\").DisableSessionPreload();", "RSS003 context.Session.TryGetValue(\"a\", out _)")]
    [InlineData("app.MapGet(\"/\", [SessionPreload(false)] async (HttpContext context) => { var a = context.Session.Get<Cart>(\"a\"); await context.Session.LoadAsync(); return a; });", "RSS003 context.Session.Get<Cart>(\"a\")")]
    public async Task A_read_before_the_load_is_told_where_nobody_else_loads(string map, string said) => Assert.Equal([said], await InPipelineAsync(map));

    [Theory]
    [InlineData("app.MapGet(\"/\", (HttpContext context) => context.Session.GetString(\"a\"));")]
    [InlineData("app.MapGet(\"/\", [SessionPreload(true)] (HttpContext context) => context.Session.GetString(\"a\"));")]
    [InlineData("app.MapGet(\"/\", [SessionPreload(false)] async (HttpContext context) => { await context.Session.LoadAsync(); return context.Session.GetString(\"a\"); });")]
    [InlineData("app.MapGet(\"/\", [SessionPreload(false)] (HttpContext context) => context.Session.SetString(\"a\", \"1\"));")]
    public async Task A_read_behind_the_load_is_not(string map) => Assert.Empty(await InPipelineAsync(map));

    [Fact]
    public async Task A_controller_is_looked_at_by_its_class_and_its_action()
    {
        var said = await SaidOfAsync("""
            [SessionPreload(false)]
            public sealed class Page
            {
                public string? Off(ISession session) => session.GetString("a");

                [SessionPreload(true)]
                public string? On(ISession session) => session.GetString("b");
            }
            """, OutputKind.DynamicallyLinkedLibrary);
        Assert.Equal(["RSS003 session.GetString(\"a\")"], said);
    }
}
