/* Loaded after upstream's libraries and functions, before the script of each page, which uses both.

   _.templateSettings, api and toShort are upstream's globals: replacing them here keeps its templates and scripts as they
   are. */

/* Underscore's <%= inserts text as HTML: a traceback that quotes a message would run as a script. Here it escapes.
   What begins with $( escapes by itself: <%= $('<div/>').text(…).html() %>. */
_.templateSettings = {
    evaluate: /<%(?![-=])([\s\S]+?)%>/g,
    interpolate: /<%=(\s*\$\([\s\S]+?)%>/g,
    escape: /<%[-=](?!\s*\$\()([\s\S]+?)%>/g
};

/* Upstream shows the day only. */
var toShort = function (text) {
    var minutes = new Date().getTimezoneOffset();
    return Date.create(text).rewind({minutes: minutes}).format('{yyyy}-{MM}-{dd} {HH}:{mm}:{ss}');
};

/* Upstream ends the refresh of a job's page at the first error, for example while Redis restarts, and goes on offering
   to requeue a job that was requeued. */
api.getJob = (function (getJob) {
    return function (job_id, done) {
        getJob(job_id, function (job, error) {
            if (error) {
                setTimeout(function () { api.getJob(job_id, done); }, POLL_INTERVAL);
                return;
            }
            $('#requeue-job-btn').hide();
            job.exc_info = job.exc_info || 'none';
            done(job);
        });
    };
})(api.getJob);

/* Upstream's scripts are silent about a refused click, and about a Redis or a dashboard that does not answer. */
(function ($) {
    var $trouble = $('#trouble');

    $(document).ajaxError(function (event, xhr, options) {
        if (xhr.status >= 400 || xhr.status === 0) {
            var answer = xhr.responseJSON || {};
            $trouble.text(answer.message || 'The page does not answer. What you see may be out of date.');
            $trouble.prop('hidden', false).data('refused', options.type === 'POST');
        }
    });

    $(document).ajaxSuccess(function (event, xhr, options) {
        // A refresh that works does not mean that the refused click before it did.
        if (!$trouble.data('refused') || options.type === 'POST') {
            $trouble.prop('hidden', true).data('refused', false);
        }
    });
})(jQuery);
