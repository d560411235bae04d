using System.Net.Mime;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>A request for a page of the dashboard, or for something to be done.</summary>
internal sealed class DashboardRequest(HttpContext context, string name, IAntiforgery antiforgery)
{
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    private string? _base;

    public HttpContext Context => context;

    public CancellationToken Aborted => context.RequestAborted;

    /// <summary>What the dashboard is mapped to, as browsers know it: what every link begins with.</summary>
    public string Base => _base ??= BaseOf(context.Request, name);

    /// <summary>The overview: the same, but where it is the root of the host.</summary>
    public string Home => Base.Length == 0 ? "/" : Base;

    private static string BaseOf(HttpRequest request, string name)
    {
        var path = request.PathBase.Add(request.Path).ToUriComponent().TrimEnd('/');
        return name.Length == 0 ? path : path[..^(name.Length + 1)];
    }

    public string? Query(string key) => context.Request.Query[key] is [{ Length: > 0 } value] ? value : null;

    public string Link(string page, params ReadOnlySpan<(string Key, string Value)> query)
    {
        var link = $"{Base}/{page}";
        var separator = '?';
        foreach (var (key, value) in query)
        {
            link += $"{separator}{key}={Uri.EscapeDataString(value)}";
            separator = '&';
        }

        return link;
    }

    /// <summary>The field that every form that changes something needs.</summary>
    public Markup Token()
    {
        var tokens = antiforgery.GetAndStoreTokens(context);
        return Markup.Of($"""<input type="hidden" name="{tokens.FormFieldName}" value="{tokens.RequestToken}">""");
    }

    /// <summary>Does something that a form asks for, if it is a form of this user's.</summary>
    public async Task ActAsync(Func<DashboardRequest, Task> act)
    {
        Protect();
        if (!context.Request.HasFormContentType)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        try
        {
            await antiforgery.ValidateRequestAsync(context).ConfigureAwait(false);
        }
        catch (AntiforgeryValidationException)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return;
        }

        await act(this).ConfigureAwait(false);
    }

    public void Redirect(string link) => context.Response.Redirect(link);

    public Task SendAsync(Markup page, int status = StatusCodes.Status200OK)
    {
        Protect();
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/html; charset=utf-8";
        return context.Response.WriteAsync(page.Text, Aborted);
    }

    /// <summary>A page that shows nothing from anywhere else, in no frame, kept by nobody.</summary>
    private void Protect()
    {
        var headers = context.Response.Headers;
        headers[HeaderNames.ContentSecurityPolicy] = ContentSecurityPolicy;
        headers[HeaderNames.XContentTypeOptions] = "nosniff";
        headers[HeaderNames.XFrameOptions] = "DENY";
        headers[HeaderNames.CacheControl] = "no-store";
        headers["Referrer-Policy"] = "same-origin";
    }

    public Task DownloadAsync(string csv, string fileName)
    {
        Protect();
        context.Response.ContentType = $"{MediaTypeNames.Text.Csv}; charset=utf-8";
        context.Response.Headers[HeaderNames.ContentDisposition] = $"attachment; filename=\"{fileName}\"";
        return context.Response.WriteAsync(csv, Aborted);
    }
}
