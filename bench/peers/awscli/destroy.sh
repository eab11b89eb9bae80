#!/bin/sh -e
# The whole of a destroy with the AWS CLI alone.
#
#     destroy.sh STACK [EMPTY]
#
# With EMPTY the page's bucket is emptied first: one that is not empty is not deleted.
stack=$1 empty=$2
if [ -n "$empty" ]; then
    site=$(aws cloudformation describe-stack-resource --stack-name "$stack" \
        --logical-resource-id SiteBucket --output text \
        --query StackResourceDetail.PhysicalResourceId)
    aws s3 rm --only-show-errors --recursive "s3://$site"
fi
aws cloudformation delete-stack --stack-name "$stack"
aws cloudformation wait stack-delete-complete --stack-name "$stack"
